#include "system/identity.h"

#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

bool set_clock(uint64_t epoch_us)
{
	struct timespec t = { .tv_sec = (time_t)(epoch_us / 1000000), .tv_nsec = (long)(epoch_us % 1000000) * 1000 };

	return epoch_us == 0 || clock_settime(CLOCK_REALTIME, &t) == 0;
}

bool add_entropy(const uint8_t *seed, size_t n)
{
	struct {
		int bits, bytes;
		uint8_t data[ENTROPY_MAX];
	} pool = { .bits = (int)n * 8, .bytes = (int)n };
	bool ok;
	int fd;

	if (n == 0 || n > sizeof pool.data)
		return false;
	memcpy(pool.data, seed, n);
	fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = ioctl(fd, RNDADDENTROPY, &pool) == 0 && ioctl(fd, RNDRESEEDCRNG) == 0;
	close(fd);
	return ok;
}
