/*
 * The init of a boot by hand: loads modules, mounts the root disk and executes the program. No overlay, no agent. A program
 * that its arguments name gets the network of QEMU's user mode besides, and /dev and /proc.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { DISK_TRIES = 10000 };

static _Noreturn void give_up(const char *what)
{
	perror(what);
	_exit(1);
}

static void load_modules(void)
{
	struct dirent **names;
	int count = scandir("/modules", &names, NULL, alphasort);

	for (int i = 0; i < count; i++) {
		char path[300];
		int fd;

		if (names[i]->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/modules/%s", names[i]->d_name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || syscall(SYS_finit_module, fd, "", 0) < 0)
			give_up(path);
		close(fd);
	}
}

static void set_address(int fd, const char *name, const char *address, const char *mask)
{
	struct ifreq request = { 0 };
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;

	strcpy(request.ifr_name, name);
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = inet_addr(address);
	if (ioctl(fd, SIOCSIFADDR, &request) < 0)
		give_up(name);
	in->sin_addr.s_addr = inet_addr(mask);
	if (ioctl(fd, SIOCSIFNETMASK, &request) < 0)
		give_up(name);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		give_up(name);
}

/* Sets up what a server needs. The addresses are those that QEMU's user mode network gives. */
static void prepare_server(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		give_up("socket");
	set_address(fd, "lo", "127.0.0.1", "255.0.0.0");
	set_address(fd, "eth0", "10.0.2.15", "255.255.255.0");
	close(fd);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0 || mount("proc", "/proc", "proc", 0, NULL) < 0)
		give_up("/dev and /proc");
}

int main(int argc, char **argv)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	char *const line[] = { "/bin/line", NULL };
	char *const *program = line;

	/* The kernel adds arguments of its own that it does not know. */
	for (int i = argc - 1; i > 0; i--)
		if (argv[i][0] == '/')
			program = argv + i;
	mkdir("/dev", 0755);
	mkdir("/root", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", 0, NULL) < 0)
		give_up("/dev");
	load_modules();
	for (int i = 0; access("/dev/vda", R_OK) < 0; i++) {
		if (i == DISK_TRIES)
			give_up("/dev/vda");
		nanosleep(&pause, NULL);
	}
	if (mount("/dev/vda", "/root", "squashfs", MS_RDONLY, NULL) < 0)
		give_up("root disk");
	if (chdir("/root") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0)
		give_up("root");
	if (program != line)
		prepare_server();
	execv(program[0], program);
	give_up(program[0]);
}
