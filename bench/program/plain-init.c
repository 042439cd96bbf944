/* The init of a boot by hand: loads modules, mounts the root disk and executes the program. No network, no overlay, no agent. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
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

int main(int argc, char **argv)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };
	char *const program[] = { "/bin/line", NULL };

	(void)argc;
	(void)argv;
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
	execv(program[0], program);
	give_up(program[0]);
}
