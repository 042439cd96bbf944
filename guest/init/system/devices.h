/* Loads drivers, and waits for devices by the kernel's events. */
#ifndef WINDHOVER_DEVICES_H
#define WINDHOVER_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

/* Mounts /proc, /sys and /dev, which everything else here needs. */
bool mount_kernel_filesystems(void);

/* Loads every module in `dir`, in the order of their names. Logs those that fail; false when one does. */
bool load_modules(const char *dir);

/* Subscribes to the kernel's device events; -1 on failure. Call it before the event to wait for can happen. */
int watch_devices(void);

/* Waits at most `timeout_ms` for the port of that name; `path` is its device file. */
bool wait_for_port(int watch, const char *name, char *path, size_t cap, int timeout_ms);

/* Waits at most `timeout_ms` for the disk with that serial number; `path` is its device file. */
bool wait_for_disk(int watch, const char *serial, char *path, size_t cap, int timeout_ms);

/* Turns off the I/O schedulers of all disks: the host schedules their requests. */
void disable_io_schedulers(void);

#endif
