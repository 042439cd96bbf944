#include "program/search.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* A path of an image may have a quarter of a million entries, and the start holds its slot meanwhile. */
enum { ENTRIES_MAX = 1024 };

int search_and_exec(const char *name, const char *path, int (*exec)(void *ctx, const char *candidate), void *ctx)
{
	char candidate[PATH_MAX];
	int result = ENOENT;

	if (strchr(name, '/'))
		return exec(ctx, name);
	for (int tried = 0; path && tried < ENTRIES_MAX; tried++) {
		const char *colon = strchr(path, ':');
		int len = (int)(colon ? (size_t)(colon - path) : strlen(path));
		int n = snprintf(candidate, sizeof candidate, "%.*s%s%s", len, path, len > 0 ? "/" : "./", name);
		int err = n < (int)sizeof candidate ? exec(ctx, candidate) : ENAMETOOLONG;

		if (err == EACCES)
			result = EACCES;
		else if (err != ENOENT && err != ENOTDIR && err != ENAMETOOLONG)
			return err;
		path = colon ? colon + 1 : NULL;
	}
	return result;
}
