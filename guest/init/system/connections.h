/* The TCP connections of this guest. */
#pragma once

/*
 * Ends the connections with others: their programs read the end of the input. Connections within
 * the guest stay. Then waits up to `wait_ms` until the peers have confirmed.
 */
void close_connections(int wait_ms);
