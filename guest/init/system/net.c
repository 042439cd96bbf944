#include "system/net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "system/sys.h"

static void set_address(struct sockaddr *out, const char *text)
{
	struct sockaddr_in address = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &address.sin_addr);
	memcpy(out, &address, sizeof address);
}

static bool interface_up(int fd, const char *name)
{
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, name);
	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return false;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) == 0;
}

static bool interface_address(int fd, const char *name, unsigned long what, const char *address)
{
	struct ifreq request = { 0 };

	strcpy(request.ifr_name, name);
	set_address(&request.ifr_addr, address);
	return ioctl(fd, (int)what, &request) == 0;
}

static bool default_route(int fd)
{
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	set_address(&route.rt_dst, "0.0.0.0");
	set_address(&route.rt_genmask, "0.0.0.0");
	set_address(&route.rt_gateway, GUEST_GATEWAY);
	return ioctl(fd, SIOCADDRT, &route) == 0;
}

bool network_up(void)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && interface_up(fd, "lo") && interface_address(fd, "eth0", SIOCSIFADDR, GUEST_ADDRESS) &&
		  interface_address(fd, "eth0", SIOCSIFNETMASK, GUEST_NETMASK) && interface_up(fd, "eth0") && default_route(fd);

	if (!ok)
		log_kernel("network: %s", strerror(errno));
	if (fd >= 0)
		close(fd);
	/* As container engines do: users other than root may listen on port 80. */
	write_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	return ok;
}
