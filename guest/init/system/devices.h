/* Drivers and devices: loading the one, waiting for the other by the kernel's events, never by sleeping. */
#ifndef WINDHOVER_DEVICES_H
#define WINDHOVER_DEVICES_H

#include <stdbool.h>
#include <stddef.h>

/* Mounts /proc, /sys and /dev, which everything else here needs. */
bool mount_kernel_filesystems(void);

/* Loads every module in `dir`, in the order of their names. Says which failed; false when one did. */
bool load_modules(const char *dir);

/* A subscription to the kernel's device events, or -1. Open it before what is to be waited for can happen. */
int watch_devices(void);

/* The device file of the agent's port; waits at most `timeout_ms`. */
bool wait_for_port(int watch, const char *name, char *path, size_t cap, int timeout_ms);

/* The device file of the disk with this serial number; waits at most `timeout_ms`. */
bool wait_for_disk(int watch, const char *serial, char *path, size_t cap, int timeout_ms);

/* Hands requests straight to the disks there are: their host sorts and throttles them, if anybody has to. */
void leave_order_to_host(void);

#endif
