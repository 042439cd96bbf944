#include "agent/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SHELL_SAYS_KILLED = 128 + SIGKILL };

pid_t oom_victim(const char *line)
{
	static const char words[] = "Killed process ";
	const char *at = strstr(line, words);

	/* The words come right after "Out of memory: " or "Memory cgroup out of memory: ", never from a program's own text. */
	if (!at || !strstr(line, "ut of memory: Killed process "))
		return 0;
	return (pid_t)strtol(at + sizeof words - 1, NULL, 10);
}

uint64_t oom_counter(const char *vmstat)
{
	static const char name[] = "\noom_kill ";
	const char *at = strstr(vmstat, name);

	return at ? strtoull(at + sizeof name - 1, NULL, 10) : 0;
}

static uint64_t read_counter(void)
{
	static char text[16 * 1024];
	int fd = open("/proc/vmstat", O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return 0;
	while (len < sizeof text - 1 && (n = read(fd, text + len, sizeof text - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	text[len] = '\0';
	return oom_counter(text);
}

void oom_begin(struct oom_watch *w)
{
	w->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (w->kmsg >= 0)
		lseek(w->kmsg, 0, SEEK_END);
	w->kills = read_counter();
}

/* Reads on in the kernel log. Sets `*lost` when records were overwritten before they could be read. */
static bool names_victim(int kmsg, pid_t pid, bool *lost)
{
	char line[4096];
	bool found = false;

	for (;;) {
		ssize_t n = read(kmsg, line, sizeof line - 1);

		if (n < 0 && errno == EPIPE) {
			*lost = true;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return found;
		line[n] = '\0';
		found |= oom_victim(line) == pid;
	}
}

bool oom_ended(struct oom_watch *w, pid_t main, int wait_status)
{
	bool any = read_counter() > w->kills, lost = w->kmsg < 0, named;

	if (w->kmsg < 0)
		named = false;
	else
		named = any && names_victim(w->kmsg, main, &lost);
	if (w->kmsg >= 0)
		close(w->kmsg);
	w->kmsg = -1;
	if (WIFEXITED(wait_status))
		return any && WEXITSTATUS(wait_status) == SHELL_SAYS_KILLED;
	return any && WTERMSIG(wait_status) == SIGKILL && (named || lost);
}
