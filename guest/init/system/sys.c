#include "system/sys.h"

#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

uint64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	size_t len = strlen(text);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, len) == (ssize_t)len;
	close(fd);
	return ok;
}

static long read_all(int fd, char *buf, size_t cap)
{
	size_t len = 0;
	ssize_t n = 0;

	while (len < cap - 1 && (n = read(fd, buf + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	buf[len] = '\0';
	return n < 0 ? -1 : (long)len;
}

long read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long len;

	if (fd < 0)
		return -1;
	len = read_all(fd, buf, cap);
	close(fd);
	return len;
}

char *read_text(const char *path, size_t max)
{
	/* Does not wait: an image may have a pipe there. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	size_t len = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? (size_t)st.st_size : 0;
	char *buf;

	if (len > max)
		len = max;
	buf = malloc(len + 1);
	if (buf && (len == 0 || read_all(fd, buf, len + 1) < 0))
		buf[0] = '\0';
	if (fd >= 0)
		close(fd);
	return buf;
}

void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void set_realtime(bool realtime)
{
	static bool is_realtime;
	struct sched_param priority = { .sched_priority = realtime };

	if (realtime == is_realtime)
		return;
	is_realtime = realtime;
	/* musl's own function does nothing. */
	syscall(SYS_sched_setscheduler, 0, (realtime ? SCHED_FIFO : SCHED_OTHER) | SCHED_RESET_ON_FORK, &priority);
}

void log_kernel(const char *format, ...)
{
	char line[512] = "<4>windhover: ";
	size_t used = strlen(line);
	va_list args;
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC), n;

	if (fd < 0)
		return;
	va_start(args, format);
	n = vsnprintf(line + used, sizeof line - used, format, args);
	va_end(args);
	if (n > 0) {
		ssize_t ignored = write(fd, line, strlen(line));
		(void)ignored;
	}
	close(fd);
}
