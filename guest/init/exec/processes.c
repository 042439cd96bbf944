#include "exec/processes.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "channel/protocol.h"
#include "channel/tlv.h"
#include "system/proc.h"
#include "system/sys.h"

enum {
	PROCESSES_MAX = 4096,
	LISTENERS_MAX = 4096,
	FDS_MAX = 65536,
	SOCKETS_OF_ONE_MAX = 64,
	TEXT_MAX = 1024,
	STATUS_MAX = 4096,
	PROCESS_MAX = 16 * 1024,
	PAGE = 4096,
	US_PER_TICK = 10000,
	TCP_LISTEN = 0x0a,
	UDP_UNCONNECTED = 0x07,
};

struct list {
	int out;
	size_t count, listener_count;
	struct listener *listeners; /* by inode */
	bool failed;
};

pid_t parse_inner_pid(const char *status)
{
	const char *at = strstr(status, "\nNSpid:"), *words[3];

	return at && split_words(at + 1, words, 3) == 3 ? (pid_t)strtol(words[2], NULL, 10) : 0;
}

/* A number of eight hexadecimal digits. */
static uint32_t word_of(const char *digits)
{
	char text[9] = { 0 };

	memcpy(text, digits, 8);
	return (uint32_t)strtoul(text, NULL, 16);
}

bool parse_listener(const char *protocol, const char *line, struct listener *out)
{
	enum { LOCAL = 1, STATE = 3, INODE = 9, WORDS };
	bool is_udp = strncmp(protocol, "udp", 3) == 0, is_v6 = protocol[3] == '6';
	size_t digits = is_v6 ? 32 : 8;
	const char *words[WORDS];
	char text[INET6_ADDRSTRLEN];
	uint32_t address[4] = { 0 };
	unsigned long state;

	if (split_words(line, words, WORDS) < WORDS || strspn(words[LOCAL], "0123456789ABCDEFabcdef") != digits || words[LOCAL][digits] != ':')
		return false;
	state = strtoul(words[STATE], NULL, 16);
	out->inode = strtoull(words[INODE], NULL, 10);
	if (state != (is_udp ? UDP_UNCONNECTED : TCP_LISTEN) || out->inode == 0)
		return false;
	/* Words as they lie in memory, each written as a number. */
	for (size_t i = 0; i * 8 < digits; i++)
		address[i] = word_of(words[LOCAL] + i * 8);
	if (!inet_ntop(is_v6 ? AF_INET6 : AF_INET, address, text, sizeof text))
		return false;
	snprintf(out->address, sizeof out->address, is_v6 ? "%s [%s]:%u" : "%s %s:%u", protocol, text,
		 (unsigned)(strtoul(words[LOCAL] + digits + 1, NULL, 16) & 0xffff));
	return true;
}

static int by_inode(const void *a, const void *b)
{
	const struct listener *x = a, *y = b;

	return x->inode < y->inode ? -1 : x->inode > y->inode;
}

struct protocol_lines {
	struct list *list;
	const char *protocol;
};

static bool add_listener(void *ctx, char *line)
{
	const struct protocol_lines *p = ctx;
	struct list *l = p->list;

	l->listener_count += parse_listener(p->protocol, line, &l->listeners[l->listener_count]);
	return l->listener_count < LISTENERS_MAX;
}

static void read_listeners(struct list *l, pid_t main)
{
	static const char *const protocols[] = { "tcp", "tcp6", "udp", "udp6" };
	char path[64];

	for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++) {
		snprintf(path, sizeof path, "/proc/%d/net/%s", (int)main, protocols[i]);
		if (l->listener_count < LISTENERS_MAX)
			for_each_line(path, add_listener, &(struct protocol_lines){ l, protocols[i] });
	}
	qsort(l->listeners, l->listener_count, sizeof *l->listeners, by_inode);
}

static void put_text(struct tlv_writer *w, uint16_t tag, const char *text)
{
	tlv_put(w, tag, text, strlen(text));
}

static void put_command(struct tlv_writer *w, pid_t pid, const char *name)
{
	char path[64], text[TEXT_MAX];
	long n;

	snprintf(path, sizeof path, "/proc/%d/cmdline", (int)pid);
	n = read_file(path, text, sizeof text);
	while (n > 0 && text[n - 1] == '\0')
		n--;
	if (n <= 0) {
		snprintf(text, sizeof text, "[%s]", name);
		put_text(w, TAG_COMMAND, text);
		return;
	}
	for (long i = 0; i < n; i++)
		if (text[i] == '\0')
			text[i] = ' ';
	tlv_put(w, TAG_COMMAND, text, (size_t)n);
}

static void put_directory(struct tlv_writer *w, pid_t pid)
{
	char path[64], text[TEXT_MAX];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/cwd", (int)pid);
	n = readlink(path, text, sizeof text);
	tlv_put(w, TAG_DIRECTORY, text, n < 0 ? 0 : (size_t)n);
}

static const struct listener *listener_of(const struct list *l, const char *link)
{
	static const char prefix[] = "socket:[";
	struct listener key;

	if (strncmp(link, prefix, sizeof prefix - 1) != 0)
		return NULL;
	key.inode = strtoull(link + sizeof prefix - 1, NULL, 10);
	return bsearch(&key, l->listeners, l->listener_count, sizeof key, by_inode);
}

static void put_sockets(const struct list *l, struct tlv_writer *w, pid_t pid)
{
	const struct listener *put[SOCKETS_OF_ONE_MAX];
	char path[64];
	struct dirent *entry;
	size_t seen = 0, count = 0;
	DIR *fds;

	snprintf(path, sizeof path, "/proc/%d/fd", (int)pid);
	fds = l->listener_count > 0 ? opendir(path) : NULL;
	while (fds && seen++ < FDS_MAX && count < SOCKETS_OF_ONE_MAX && (entry = readdir(fds))) {
		char link[64];
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof link - 1);
		const struct listener *found = n > 0 ? (link[n] = '\0', listener_of(l, link)) : NULL;
		bool is_known = !found;

		/* Once, even with several descriptors. */
		for (size_t i = 0; i < count && !is_known; i++)
			is_known = put[i] == found;
		if (is_known)
			continue;
		put[count++] = found;
		put_text(w, TAG_SOCKET, found->address);
	}
	if (fds)
		closedir(fds);
}

static pid_t inner_pid(pid_t pid)
{
	char path[64], text[STATUS_MAX];

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	return read_file(path, text, sizeof text) > 0 ? parse_inner_pid(text) : 0;
}

static uint64_t boot_time_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static bool write_all(int fd, const uint8_t *bytes, size_t n)
{
	while (n > 0) {
		ssize_t done = write(fd, bytes, n);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		n -= (size_t)done;
	}
	return true;
}

static bool put_process(void *ctx, pid_t pid)
{
	static uint8_t body[PROCESS_MAX];
	struct list *l = ctx;
	struct tlv_writer w = { .buf = body, .cap = sizeof body };
	struct process_stat stat;
	pid_t inner = inner_pid(pid);
	uint64_t now = boot_time_us(), started;

	if (inner == 0 || !read_stat(pid, &stat))
		return true;
	started = stat.start_ticks * US_PER_TICK;
	tlv_put_u32(&w, TAG_PID, (uint32_t)inner);
	tlv_put_u32(&w, TAG_PARENT, (uint32_t)inner_pid(stat.parent));
	put_command(&w, pid, stat.name);
	put_directory(&w, pid);
	tlv_put_u64(&w, TAG_CPU, (stat.user_ticks + stat.system_ticks) * US_PER_TICK);
	tlv_put_u64(&w, TAG_SYSTEM, stat.system_ticks * US_PER_TICK);
	tlv_put_u64(&w, TAG_RUN_TIME, now > started ? now - started : 0);
	tlv_put_u64(&w, TAG_RESIDENT, stat.resident_pages * PAGE);
	put_sockets(l, &w, pid);
	l->failed = !write_all(l->out, body, w.len);
	return !l->failed && ++l->count < PROCESSES_MAX;
}

bool list_processes(pid_t main, int out)
{
	struct list l = { .out = out, .listeners = calloc(LISTENERS_MAX, sizeof *l.listeners) };

	if (!l.listeners)
		return false;
	read_listeners(&l, main);
	for_each_process(put_process, &l);
	return !l.failed;
}
