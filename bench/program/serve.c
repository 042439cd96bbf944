/* An HTTP server of a few lines: reads a request with its body, and answers a path /N with N bytes, any other with "ok". */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PORT = 8080, BACKLOG = 4096, BUFFER = 32 * 1024, PIECE = 64 * 1024, STACK = 64 * 1024 };

static const char line[] = "windhover-bench: running\n";
static const char piece[PIECE];
static int listener;

static int send_all(int fd, const char *bytes, size_t count)
{
	while (count > 0) {
		ssize_t sent = write(fd, bytes, count);

		if (sent <= 0)
			return -1;
		bytes += sent;
		count -= (size_t)sent;
	}
	return 0;
}

/* Reads the head and the whole body. The buffer then begins with the head. */
static int read_request(int fd, char *buffer)
{
	char rest[BUFFER / 4];
	size_t have = 0;
	char *end = NULL;
	const char *field;
	long long left;

	while (end == NULL) {
		ssize_t got = have < BUFFER - 1 ? read(fd, buffer + have, BUFFER - 1 - have) : 0;

		if (got <= 0)
			return -1;
		have += (size_t)got;
		buffer[have] = '\0';
		end = strstr(buffer, "\r\n\r\n");
	}
	*end = '\0';
	field = strcasestr(buffer, "\r\ncontent-length:");
	left = field == NULL ? 0 : atoll(field + sizeof "\r\ncontent-length:" - 1);
	left -= (long long)(have - (size_t)(end + 4 - buffer));
	while (left > 0) {
		ssize_t got = read(fd, rest, left < (long long)sizeof rest ? (size_t)left : sizeof rest);

		if (got <= 0)
			return -1;
		left -= got;
	}
	return 0;
}

static int answer(int fd, const char *request)
{
	const char *path = strchr(request, '/');
	long long size = path == NULL ? 0 : atoll(path + 1);
	char head[128];
	int length;

	if (size <= 0) {
		length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n");
		return send_all(fd, head, (size_t)length);
	}
	length = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %lld\r\n\r\n", size);
	if (send_all(fd, head, (size_t)length) < 0)
		return -1;
	for (; size > 0; size -= PIECE)
		if (send_all(fd, piece, size < PIECE ? (size_t)size : PIECE) < 0)
			return -1;
	return 0;
}

static void *serve(void *argument)
{
	int fd = (int)(intptr_t)argument;
	int on = 1;
	char buffer[BUFFER];

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	while (read_request(fd, buffer) == 0 && answer(fd, buffer) == 0)
		;
	close(fd);
	return NULL;
}

static void *accept_all(void *argument)
{
	pthread_attr_t attributes;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			usleep(1000);
		else if (pthread_create(&thread, &attributes, serve, (void *)(intptr_t)fd) != 0)
			close(fd);
	}
	return argument;
}

int main(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(PORT) };
	struct rlimit files;
	pthread_t thread;
	sigset_t ends;
	int on = 1;
	int signal_number;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	/* Threads inherit it. */
	if (sigprocmask(SIG_BLOCK, &ends, NULL) < 0)
		return 1;
	/* A connection takes one of them. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return 1;
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, BACKLOG) < 0)
		return 1;
	if (write(STDOUT_FILENO, line, sizeof line - 1) != (ssize_t)(sizeof line - 1))
		return 1;
	if (pthread_create(&thread, NULL, accept_all, NULL) != 0)
		return 1;
	return sigwait(&ends, &signal_number) == 0 ? 0 : 1;
}
