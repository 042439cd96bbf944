/* The guest's network: the same inner address in every VM, so it is ready before anyone knows which machine this will be. */
#ifndef WINDHOVER_NET_H
#define WINDHOVER_NET_H

#include <stdbool.h>

#define GUEST_ADDRESS "10.0.2.15"
#define GUEST_NETMASK "255.255.255.0"
#define GUEST_GATEWAY "10.0.2.2"
#define GUEST_RESOLVER "10.0.2.3"

/* Brings up lo and eth0 and sets the default route. */
bool network_up(void);

#endif
