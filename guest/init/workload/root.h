/* The workload's file system: the image below, the scratch disk above, the kernel's file systems inside. */
#ifndef WINDHOVER_ROOT_H
#define WINDHOVER_ROOT_H

#include <stdbool.h>

#define SCRATCH_DIR "/scratch"

/* All return 0 or an errno. */

/* Mounts the scratch disk. */
int mount_scratch(const char *disk);

/* Removes what a run has left on the scratch disk. */
int clear_scratch(void);

/*
 * The rest is for a mount namespace of its own, in this order. First what needs no image: /proc, /sys, /dev and what belongs below them,
 * put aside for later; and on the scratch disk the layer that lies over an image, with what every root gets: places to mount on, and the
 * network's files.
 */
int stage_kernel_filesystems(void);
int make_layer(void);

/* Mounts the image. */
int mount_image(const char *disk);

/* Makes the layer look like it belongs to this image and this host. `*named` is false when its files must be written once it is the root. */
int fit_layer(const char *hostname, bool *named);

/* Lays the layer over the image, and what was put aside into it. */
int mount_overlay(void);

/* Makes it the root. */
int enter_root(void);

/* Writes hostname, hosts and resolv.conf; `*file` names the one that failed. */
int write_network_files(const char *hostname, const char **file);

/* `mkdir -p`. */
int make_directories(const char *path);

#endif
