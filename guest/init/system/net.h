/* The guest's network. Its address is the same in every VM, so it is set up at boot. */
#pragma once

#include <stdbool.h>

#define GUEST_ADDRESS "10.0.2.15"
#define GUEST_NETMASK "255.255.255.0"
#define GUEST_GATEWAY "10.0.2.2"
#define GUEST_RESOLVER "10.0.2.3"

/* Brings up lo and eth0 and sets the default route. */
bool network_up(void);
