/* Resolves a user as an image names it, against the image's own passwd and group files. libc's look-ups are of no use here. */
#ifndef WINDHOVER_USERS_H
#define WINDHOVER_USERS_H

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
 * `spec` is "", "user", "user:group", each a name or a number. A number needs no entry; a name does. Without a group, the entry's
 * own applies, and the groups that list the user. `passwd` and `group` are the files' texts. False when a name is unknown.
 */
bool resolve_user(const char *spec, const char *passwd, const char *group, struct identity *out);

#endif
