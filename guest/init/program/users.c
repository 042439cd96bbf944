#include "program/users.h"

#include <stdint.h>
#include <string.h>

struct field {
	const char *at;
	size_t len;
};

/* Splits the line at `*text` at its colons and moves on to the next; returns its fields' number. */
static size_t next_line(const char **text, struct field *fields, size_t max)
{
	const char *p = *text;
	size_t n = 0;

	while (n < max) {
		size_t len = strcspn(p, n + 1 < max ? ":\n" : "\n");

		fields[n++] = (struct field){ p, len };
		p += len;
		if (*p != ':')
			break;
		p++;
	}
	p += strcspn(p, "\n");
	*text = *p ? p + 1 : p;
	return n;
}

static bool is(struct field f, struct field name)
{
	return f.len == name.len && memcmp(f.at, name.at, f.len) == 0;
}

static bool number(struct field f, uint32_t *out)
{
	uint64_t value = 0;

	if (f.len == 0 || f.len > 10)
		return false;
	for (size_t i = 0; i < f.len; i++) {
		if (f.at[i] < '0' || f.at[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(f.at[i] - '0');
	}
	if (value >= UINT32_MAX) /* -1 means "unchanged" to the kernel */
		return false;
	*out = (uint32_t)value;
	return true;
}

/* Finds a user by name or, when `id` is not NULL, by number; copies its ids and home. */
static bool find_user(const char *passwd, struct field name, const uint32_t *id, struct identity *out, struct field *found)
{
	struct field f[7];
	uint32_t uid, gid;

	while (*passwd) {
		size_t n = next_line(&passwd, f, 7);

		if (n < 4 || !number(f[2], &uid) || !number(f[3], &gid))
			continue;
		if (id ? uid != *id : !is(f[0], name))
			continue;
		out->uid = uid;
		out->gid = gid;
		*found = f[0];
		if (n > 5 && f[5].len > 0 && f[5].len < HOME_MAX) {
			memcpy(out->home, f[5].at, f[5].len);
			out->home[f[5].len] = '\0';
		}
		return true;
	}
	return false;
}

static bool find_group(const char *group, struct field name, uint32_t *gid)
{
	struct field f[4];

	while (*group)
		if (next_line(&group, f, 4) >= 3 && is(f[0], name) && number(f[2], gid))
			return true;
	return false;
}

static bool lists(struct field members, struct field user)
{
	const char *p = members.at, *end = members.at + members.len;

	while (p < end) {
		const char *comma = memchr(p, ',', (size_t)(end - p));
		const char *stop = comma ? comma : end;

		if (is((struct field){ p, (size_t)(stop - p) }, user))
			return true;
		p = stop + 1;
	}
	return false;
}

static void add_groups(const char *group, struct field user, struct identity *out)
{
	struct field f[4];
	uint32_t gid;

	while (*group && out->group_count < GROUPS_MAX)
		if (next_line(&group, f, 4) == 4 && number(f[2], &gid) && lists(f[3], user))
			out->groups[out->group_count++] = gid;
}

bool resolve_user(const char *spec, const char *passwd, const char *group, struct identity *out)
{
	const char *colon = strchr(spec, ':');
	struct field user = { spec, colon ? (size_t)(colon - spec) : strlen(spec) }, entry;
	struct field wanted = { colon ? colon + 1 : "", colon ? strlen(colon + 1) : 0 };
	uint32_t id = 0;
	bool by_number = user.len == 0 || number(user, &id), known;

	*out = (struct identity){ .uid = id, .home = "/" };
	if (user.len == 0)
		strcpy(out->home, "/root");
	known = find_user(passwd, user, by_number ? &id : NULL, out, &entry);
	if (!known && !by_number)
		return false;
	if (wanted.len > 0) {
		uint32_t gid;

		if (!number(wanted, &gid) && !find_group(group, wanted, &gid))
			return false;
		out->gid = gid;
	} else if (known) {
		add_groups(group, entry, out);
	}
	return true;
}
