/* The workload's file system: the image below, the scratch disk above, the kernel's file systems inside. */
#ifndef WINDHOVER_ROOT_H
#define WINDHOVER_ROOT_H

#include <stdbool.h>

#define SCRATCH_DIR "/scratch"

/* Mounts the scratch disk for later. Returns 0 or an errno. */
int mount_scratch(const char *disk);

/* Removes what a run has left on the scratch disk; with `release`, lets go of the disk as well. 0 or an errno. */
int clear_scratch(bool release);

/* Mounts the image. 0 or an errno. Call these four in a mount namespace of its own, in this order. */
int mount_image(const char *disk);

/* Lays a fresh writable layer over the image, with /proc, /sys, /dev and what belongs below them. 0 or an errno. */
int mount_overlay(void);

/* Makes it the root. 0 or an errno. */
int enter_root(void);

/* Writes hostname, hosts and resolv.conf. 0 or an errno; `*file` names the one that failed. */
int write_network_files(const char *hostname, const char **file);

/* `mkdir -p`. 0 or an errno. */
int make_directories(const char *path);

#endif
