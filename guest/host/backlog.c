/*
 * Preloaded into QEMU: ports of guests get a queue of connections. QEMU's user network listens with
 * a queue of one, so the kernel drops connections that are opened together, after it has told the
 * client that they are there; some never come back.
 */
#include <errno.h>
#include <sys/syscall.h>

enum { BACKLOG = 4096 };

int listen(int fd, int backlog)
{
	long result;

	(void)backlog;
	/* Without a C library: QEMU has another than the guest. */
	__asm__ volatile("syscall" : "=a"(result) : "a"(SYS_listen), "D"(fd), "S"(BACKLOG) : "rcx", "r11", "memory");
	if (result == 0)
		return 0;
	errno = (int)-result;
	return -1;
}
