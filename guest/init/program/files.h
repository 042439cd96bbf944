/* The files that the host gives a workload. */
#pragma once

#include "program/program.h"
#include "program/request.h"

/*
 * Writes the files below the present root, each in place of a file or a link, and makes the folders
 * that are missing. No path leads out of the root or through another process. `fds` gets a
 * descriptor of each, for `own_files`.
 */
bool write_files(const struct run_request *r, int *fds, struct failure *f);

/* Gives the files to the program's user and closes them. */
bool own_files(const struct run_request *r, int *fds, const struct identity *who, struct failure *f);

/* Writes one file below the folder `root`. Returns a descriptor of it, or minus an errno. */
int write_below(int root, const struct file_request *file);
