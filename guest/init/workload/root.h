/* The workload's file system: an overlay of image and scratch disk, and the kernel's. */
#pragma once

#include <stdbool.h>

#define SCRATCH_DIR "/scratch"

/* All return 0 or an errno. */

int mount_scratch(const char *disk);

/* Removes the files of a run from the scratch disk. */
int clear_scratch(void);

/* The rest is for a mount namespace of its own, in this order. The first two need no image. */

/* Mounts /proc, /sys, /dev and the file systems below them in a folder, to be moved later. */
int stage_kernel_filesystems(void);

/* Makes the upper layer on the scratch disk, with mount points and the network's files. */
int make_upper_layer(void);

int mount_image(const char *disk);

/*
 * Adapts the upper layer to the image and writes the network's files there. When the image's /etc
 * is a link, they must be written once the overlay is the root: then `*files_written` is false.
 */
int adapt_upper_layer(const char *hostname, const char *resolver, bool *files_written);

/* Mounts the overlay and moves the staged file systems into it. */
int mount_overlay(void);

/* Makes the overlay the root. */
int enter_root(void);

/*
 * Writes hostname, hosts and resolv.conf; `*file` is the one that failed. `resolver` is the text of
 * the last one, or NULL for the default.
 */
int write_network_files(const char *hostname, const char *resolver, const char **file);

/* Makes a folder and its parents. */
int make_directories(const char *path);
