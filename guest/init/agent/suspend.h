/* Stops the workload for a save of the VM, and lets it go on after one. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct agent;

/* Handles MSG_FREEZE: kills commands, and stops the workload with all its processes. */
void agent_freeze(struct agent *a, const uint8_t *body, size_t n);

/* Handles MSG_RESUME: sets clock, entropy and hostname, while the workload stands still. */
void agent_resume(struct agent *a, const uint8_t *body, size_t n);

/* Handles MSG_THAW: lets the workload go on. */
void agent_thaw(struct agent *a);
