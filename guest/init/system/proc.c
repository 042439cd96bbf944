#include "system/proc.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "system/sys.h"

enum { LINES_MAX = 4096, STAT_MAX = 1024, KILL_ROUNDS = 50, KILL_PAUSE_US = 2000, EXITING = 0x4 /* PF_EXITING */ };

size_t split_words(const char *line, const char **words, size_t max)
{
	size_t n = 0;

	for (line += strspn(line, " \t"); n < max && *line && *line != '\n'; line += strspn(line, " \t")) {
		words[n++] = line;
		line += strcspn(line, " \t\n");
	}
	return n;
}

bool parse_stat(const char *text, struct process_stat *out)
{
	/* Those after the name, which may hold anything. */
	enum { STATE, PARENT, SESSION = 3, FLAGS = 6, USER = 11, SYSTEM, START = 19, RESIDENT = 21, WORDS };
	const char *open = strchr(text, '('), *close = strrchr(text, ')'), *words[WORDS];
	size_t len;

	if (!open || !close || close < open || split_words(close + 1, words, WORDS) < WORDS)
		return false;
	len = (size_t)(close - open - 1);
	*out = (struct process_stat){
		.state = words[STATE][0],
		.parent = (pid_t)strtol(words[PARENT], NULL, 10),
		.session = (pid_t)strtol(words[SESSION], NULL, 10),
		.flags = (unsigned)strtoul(words[FLAGS], NULL, 10),
		.user_ticks = strtoull(words[USER], NULL, 10),
		.system_ticks = strtoull(words[SYSTEM], NULL, 10),
		.start_ticks = strtoull(words[START], NULL, 10),
		.resident_pages = strtoull(words[RESIDENT], NULL, 10),
	};
	memcpy(out->name, open + 1, len < sizeof out->name ? len : sizeof out->name - 1);
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

void for_each_line(const char *path, bool (*handle)(void *ctx, char *line), void *ctx)
{
	char buf[LINES_MAX + 1];
	size_t len = 0;
	ssize_t n;
	bool more = true;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && more && (n = read(fd, buf + len, sizeof buf - 1 - len)) > 0) {
		char *line = buf, *end;

		len += (size_t)n;
		buf[len] = '\0';
		for (; more && (end = strchr(line, '\n')); line = end + 1) {
			*end = '\0';
			more = handle(ctx, line);
		}
		len = line == buf && len == sizeof buf - 1 ? 0 : len - (size_t)(line - buf);
		memmove(buf, line, len);
	}
	if (fd >= 0)
		close(fd);
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
