#include "agent/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "system/sys.h"

enum { SHELL_CHILD_KILLED = 128 + SIGKILL };

pid_t oom_victim(const char *line)
{
	static const char words[] = "Killed process ";
	const char *at = strstr(line, words);

	/*
	 * Follows "Out of memory: " or "Memory cgroup out of memory: "; other text must not count.
	 */
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

	return read_file("/proc/vmstat", text, sizeof text) < 0 ? 0 : oom_counter(text);
}

void oom_watch_begin(struct oom_watch *w)
{
	w->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (w->kmsg >= 0)
		lseek(w->kmsg, 0, SEEK_END);
	w->kills = read_counter();
}

/* Whether the new part of the kernel log names `pid`, or has lost records. */
static bool may_name_victim(int kmsg, pid_t pid)
{
	char line[4096];
	bool found = false;

	if (kmsg < 0)
		return true;
	for (;;) {
		ssize_t n = read(kmsg, line, sizeof line - 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE) {
			found = true;
			continue;
		}
		if (n <= 0)
			return found;
		line[n] = '\0';
		found |= oom_victim(line) == pid;
	}
}

bool oom_watch_end(struct oom_watch *w, pid_t pid, int wait_status)
{
	bool any = read_counter() > w->kills, named = any && may_name_victim(w->kmsg, pid);

	if (w->kmsg >= 0)
		close(w->kmsg);
	w->kmsg = -1;
	if (WIFEXITED(wait_status))
		return any && WEXITSTATUS(wait_status) == SHELL_CHILD_KILLED;
	return named && WTERMSIG(wait_status) == SIGKILL;
}
