/* Forks the first process of a PID namespace, and lets signals end it. */
#pragma once

#include <sys/types.h>

/*
 * Forks a child in a PID namespace, mount namespace and cgroup of its own; `cgroup` is a
 * descriptor, or -1. Returns as fork(2) does.
 */
pid_t fork_process1(int cgroup);

/*
 * Makes signals that a program leaves at their default end this process, as they end any other. The
 * kernel drops them for the first process of a PID namespace. Returns 0 or an errno.
 */
int accept_default_signals(void);
