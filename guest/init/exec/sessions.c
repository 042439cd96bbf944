#include "exec/sessions.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/sys.h"

enum { STAT_MAX = 1024, KILL_ROUNDS = 50, KILL_PAUSE_US = 2000, EXITING = 0x4 /* PF_EXITING */ };

bool parse_stat(const char *text, struct process_stat *out)
{
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	int parent, session;
	size_t len;

	if (!open || !close || close < open)
		return false;
	*out = (struct process_stat){ 0 };
	len = (size_t)(close - open - 1);
	if (len >= sizeof out->name)
		len = sizeof out->name - 1;
	memcpy(out->name, open + 1, len);
	if (sscanf(close + 1, " %c %d %*d %d %*d %*d %u %*u %*u %*u %*u %" SCNu64 " %" SCNu64 " %*d %*d %*d %*d %*d %*d %" SCNu64 " %*u %" SCNu64,
		   &out->state, &parent, &session, &out->flags, &out->user_ticks, &out->system_ticks, &out->start_ticks, &out->resident_pages) != 8)
		return false;
	out->parent = parent;
	out->session = session;
	return true;
}

bool read_stat(pid_t pid, struct process_stat *out)
{
	char path[64], text[STAT_MAX];

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	return read_file(path, text, sizeof text) > 0 && parse_stat(text, out);
}

bool is_exiting(pid_t pid)
{
	struct process_stat stat;

	return !read_stat(pid, &stat) || stat.flags & EXITING;
}

void for_each_process(bool (*handle)(void *ctx, pid_t pid), void *ctx)
{
	DIR *all = opendir("/proc");
	struct dirent *entry;
	bool more = true;

	while (all && more && (entry = readdir(all))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid > 0)
			more = handle(ctx, pid);
	}
	if (all)
		closedir(all);
}

struct search {
	pid_t session;
	bool found;
};

static bool kill_member(void *ctx, pid_t pid)
{
	struct search *s = ctx;
	struct process_stat stat;

	if (read_stat(pid, &stat) && stat.session == s->session && stat.state != 'Z') {
		s->found = true;
		kill(pid, SIGKILL);
	}
	return true;
}

void kill_members(pid_t session)
{
	/* Again while members may have forked meanwhile. */
	for (int round = 0; round < KILL_ROUNDS; round++) {
		struct search s = { .session = session };

		for_each_process(kill_member, &s);
		if (!s.found)
			return;
		usleep(KILL_PAUSE_US);
	}
}
