/*
 * The program of a warm-up: does what programs do when they start, so that the emulator has
 * translated that part of the kernel. Translated code takes memory in every warm VM, so it does not
 * write to the disk, which programs do later. Exits with 0 when all of it worked.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, HEAP = 256 * 1024 };

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

static int listen_once(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 8) < 0)
		return 1;
	return close(fd);
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
	return touch_file("/data/mapped") || touch_heap() || listen_once() || spawn_self();
}
