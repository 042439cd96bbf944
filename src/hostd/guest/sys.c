#include "sys.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

long read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -1;
	while (len < cap - 1 && (n = read(fd, buf + len, cap - 1 - len)) > 0)
		len += (size_t)n;
	close(fd);
	buf[len] = '\0';
	return n < 0 ? -1 : (long)len;
}

char *read_text(const char *path, size_t max)
{
	char *buf = malloc(max + 1);

	if (buf && read_file(path, buf, max + 1) < 0)
		buf[0] = '\0';
	return buf;
}

void say(const char *format, ...)
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
