/* Finds a program as execvp(3) does, but without a shell, and with a more precise error. */
#pragma once

#include <stddef.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Calls `exec` for each path that `name` may have; `exec` returns only on failure, with an errno. A
 * name with a slash has one path; of PATH, the first 1024 entries count. Returns the errno that says most: EACCES counts more than ENOENT.
 */
int search_and_exec(const char *name, const char *path, int (*exec)(void *ctx, const char *candidate), void *ctx);
