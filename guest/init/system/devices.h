/* Loads drivers and waits for devices. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Mounts /proc, /sys and /dev, which everything else here needs. */
bool mount_kernel_filesystems(void);

/* Loads every module in `dir`, by name. Logs those that fail; false when one does. */
bool load_modules(const char *dir);

/* Waits at most `timeout_ms` for the port of that name; `path` is its device file. */
bool wait_for_port(const char *name, char *path, size_t cap, int timeout_ms);

/* Waits at most `timeout_ms` for the disk with that serial number; `path` is its device file. */
bool wait_for_disk(const char *serial, char *path, size_t cap, int timeout_ms);

/* Turns off the I/O schedulers of all disks: the host schedules their requests. */
void disable_io_schedulers(void);
