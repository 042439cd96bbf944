/* Resolves the user that an image names, in the texts of the image's passwd and group files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum { GROUPS_MAX = 64, HOME_MAX = 256 };

struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[GROUPS_MAX];
	size_t group_count;
	char home[HOME_MAX];
};

/*
 * `spec` is "", "user", "user:group", each a name or a number. Names need an entry, numbers do not.
 * Without a group, the user's entry says it, and the groups that list the user count too. False
 * when a name is unknown.
 */
bool resolve_user(const char *spec, const char *passwd, const char *group, struct identity *out);
