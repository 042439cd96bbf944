#include "system/identity.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "workload/request.h"

#ifndef RNDRESEEDCRNG
#define RNDRESEEDCRNG _IO('R', 0x07)
#endif

int set_clock(uint64_t epoch_us)
{
	struct timespec t = { .tv_sec = (time_t)(epoch_us / 1000000), .tv_nsec = (long)(epoch_us % 1000000) * 1000 };

	if (epoch_us == 0)
		return 0;
	return clock_settime(CLOCK_REALTIME, &t) < 0 ? errno : 0;
}

int add_entropy(const uint8_t *seed, size_t n)
{
	struct {
		int bits, bytes;
		uint8_t data[ENTROPY_MAX];
	} pool = { .bits = (int)n * 8, .bytes = (int)n };
	int fd, err = 0;

	if (n == 0)
		return 0;
	if (n > sizeof pool.data)
		return EINVAL;
	memcpy(pool.data, seed, n);
	fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (ioctl(fd, RNDADDENTROPY, &pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		err = errno;
	close(fd);
	return err;
}
