/** The quota of an organisation, as JSON of an `Amount`. */
export const QUOTA = `json_build_object('machines', quota_machines, 'memoryMb', quota_memory_mb, 'imageMb', quota_image_mb)`;

/**
 * Selects what an organisation uses, an `Amount`. An image counts once for each host. Memory that an
 * update has reserved counts as far as the machine does not have it yet.
 *
 * @param org a SQL expression
 */
export function usedBy(org: string): string {
  return `select coalesce(sum(machines), 0)::int as machines,
                 (coalesce(sum(memory_mb), 0) + (${reservedBy(org)}))::float8 as "memoryMb",
                 coalesce(floor(sum(image_bytes) / 1048576), 0)::float8 as "imageMb"
            from (select count(*) as machines, sum(memory_mb) as memory_mb, max(image_bytes) as image_bytes
                    from machines where org = ${org} and state <> 'destroyed' group by host_number, image_digest) images`;
}

function reservedBy(org: string): string {
  return `select coalesce(sum(greatest(r.memory_mb - m.memory_mb, 0)), 0)
            from memory_reservations r join machines m on m.id = r.machine_id
           where r.org = ${org} and r.expire_time > now() and m.state <> 'destroyed'`;
}
