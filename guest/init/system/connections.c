#include "system/connections.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "system/proc.h"
#include "system/sys.h"

enum { PAUSE_US = 5000, LINE_MAX_CHARS = 512, FDS_MAX = 65536, LOOPBACK_NET = 127 };

/* States in /proc/net/tcp. */
enum {
	ESTABLISHED = 1,
	SYN_SENT = 2,
	FIN_WAIT_1 = 4,
	CLOSE_WAIT = 8,
	LAST_ACK = 9,
	CLOSING = 11,
};

static unsigned bit(unsigned state)
{
	return 1u << state;
}

/* Whether a connection is in one of these states. */
static bool has_state(const char *path, unsigned states)
{
	char line[LINE_MAX_CHARS];
	bool found = false;
	FILE *file = fopen(path, "re");

	while (file && !found && fgets(line, sizeof line, file)) {
		enum { STATE = 3, WORDS };
		const char *words[WORDS];
		unsigned long state;

		if (split_words(line, words, WORDS) < WORDS)
			continue;
		state = strtoul(words[STATE], NULL, 16);
		found = state > 0 && state < 32 && (states & bit((unsigned)state));
	}
	if (file)
		fclose(file);
	return found;
}

static bool any_in(unsigned states)
{
	return has_state("/proc/net/tcp", states) || has_state("/proc/net/tcp6", states);
}

static bool is_loopback(const struct sockaddr_storage *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (address->ss_family == AF_INET)
		return ntohl(v4->sin_addr.s_addr) >> 24 == LOOPBACK_NET;
	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
		return v6->sin6_addr.s6_addr[12] == LOOPBACK_NET;
	return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static void close_one(int fd)
{
	struct sockaddr_storage peer;
	socklen_t len = sizeof peer, type_len = sizeof(int);
	int type = 0;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 || type != SOCK_STREAM)
		return;
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return;
	if ((peer.ss_family == AF_INET || peer.ss_family == AF_INET6) && !is_loopback(&peer))
		shutdown(fd, SHUT_RDWR);
}

static bool close_of_process(void *nothing, pid_t pid)
{
	static const char prefix[] = "socket:";
	char path[64];
	struct dirent *entry;
	DIR *fds;
	int seen = 0, process;

	(void)nothing;
	if (pid == getpid())
		return true;
	process = (int)syscall(SYS_pidfd_open, pid, 0);
	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	fds = process < 0 ? NULL : opendir(path);
	while (fds && seen++ < FDS_MAX && (entry = readdir(fds))) {
		char link[64];
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof link - 1);
		int fd;

		if (n < (ssize_t)sizeof prefix - 1 || strncmp(link, prefix, sizeof prefix - 1) != 0)
			continue;
		fd = (int)syscall(SYS_pidfd_getfd, process, atoi(entry->d_name), 0);
		if (fd < 0)
			continue;
		close_one(fd);
		close(fd);
	}
	if (fds)
		closedir(fds);
	if (process >= 0)
		close(process);
	return true;
}

void close_connections(int wait_ms)
{
	uint64_t deadline = now_us() + (uint64_t)wait_ms * 1000;

	if (!any_in(bit(ESTABLISHED) | bit(SYN_SENT) | bit(CLOSE_WAIT)))
		return;
	for_each_process(close_of_process, NULL);
	while (now_us() < deadline && any_in(bit(FIN_WAIT_1) | bit(LAST_ACK) | bit(CLOSING)))
		usleep(PAUSE_US);
}
