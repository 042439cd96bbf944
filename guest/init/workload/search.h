/* Finding a program as execvp(3) does, but without its shell fallback and with an answer that says what was wrong. */
#ifndef WINDHOVER_SEARCH_H
#define WINDHOVER_SEARCH_H

#include <stddef.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/*
 * Tries `exec(candidate)` for each place `name` may be; `exec` returns only on failure, with an errno. A name with a slash has one
 * place. Returns the errno that says most: a file that is there but may not be run (EACCES) counts more than one that is not.
 */
int search_and_exec(const char *name, const char *path, int (*exec)(void *ctx, const char *candidate), void *ctx);

#endif
