/*
 * The program of a warm-up: does what programs do when they start, so that the emulator has
 * translated that part of the kernel. Translated code takes memory in every warm VM, so it does not
 * write to the disk, which programs do later. Exits with 0 when all of it worked.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, HEAP = 256 * 1024, WAIT_MS = 200 };
#define GATEWAY "10.0.2.2"

static const char request[] = "GET / HTTP/1.1\r\n\r\n";
static volatile unsigned sum;

/* Maps a compressed file and touches its pages, as a dynamic loader does. */
static int touch_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *data;

	if (fd < 0 || fstat(fd, &st) < 0)
		return 1;
	data = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	if (data == MAP_FAILED)
		return 1;
	for (off_t at = 0; at < st.st_size; at += PAGE) {
		sum += (unsigned char)data[at];
		if (at % (4 * PAGE) == 0)
			data[at] = 1;
	}
	return munmap(data, (size_t)st.st_size);
}

static int touch_heap(void)
{
	char *heap = malloc(HEAP);

	if (!heap)
		return 1;
	for (size_t at = 0; at < HEAP; at += PAGE)
		heap[at] = 1;
	free(heap);
	return 0;
}

/* Answers one request over a connection, on a thread of its own, as a server does. */
static void *answer(void *argument)
{
	int fd = *(int *)argument;
	char line[sizeof request];

	if (read(fd, line, sizeof line) > 0)
		sum += write(fd, line, sizeof line) > 0;
	close(fd);
	return NULL;
}

static int serve_once(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct epoll_event event = { .events = EPOLLIN };
	socklen_t length = sizeof address;
	char line[sizeof request];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int set = epoll_create1(EPOLL_CLOEXEC);
	pthread_t thread;
	int server;

	if (listener < 0 || client < 0 || set < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
	    listen(listener, 8) < 0 || getsockname(listener, (struct sockaddr *)&address, &length) < 0)
		return 1;
	/* The kernel accepts by itself, so nobody else is needed here. */
	if (epoll_ctl(set, EPOLL_CTL_ADD, listener, &event) < 0 || connect(client, (struct sockaddr *)&address, length) < 0 ||
	    epoll_wait(set, &event, 1, WAIT_MS) != 1)
		return 1;
	server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	if (server < 0 || write(client, request, sizeof request) < 0 || pthread_create(&thread, NULL, answer, &server) != 0 ||
	    pthread_join(thread, NULL) != 0 || read(client, line, sizeof line) <= 0)
		return 1;
	return close(client) || close(set) || close(listener);
}

/* Asks the gateway for an echo, over the network card. That none comes is no failure. */
static void ping_gateway(void)
{
	struct sockaddr_in gateway = { .sin_family = AF_INET };
	struct icmphdr echo = { .type = ICMP_ECHO, .checksum = htons(0xf7ff) };
	struct timeval wait = { .tv_usec = WAIT_MS * 1000 };
	char reply[128];
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	inet_pton(AF_INET, GATEWAY, &gateway.sin_addr);
	if (fd < 0)
		return;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
	    sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&gateway, sizeof gateway) > 0)
		sum += recv(fd, reply, sizeof reply, 0) > 0;
	close(fd);
}

static int spawn_self(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		execl("/proc/self/exe", "warm-up", "child", (char *)NULL);
		_exit(127);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return 0;
	puts("warm-up");
	fputs("warm-up\n", stderr);
	ping_gateway();
	return touch_file("/data/mapped") || touch_heap() || serve_once() || spawn_self();
}
