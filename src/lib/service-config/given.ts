type Given<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** Leaves out members that are undefined. */
export function defined<T extends object>(members: T): Given<T> {
  return filtered(members, (value) => value !== undefined);
}

/** Leaves out members that have their default in a message: zero, false, empty text, an empty list. */
export function nonDefault<T extends object>(members: T): Given<T> {
  return filtered(members, (value) => !!value && !(Array.isArray(value) && value.length === 0));
}

function filtered<T extends object>(members: T, keeps: (value: unknown) => boolean): Given<T> {
  // Only members of T are left, and none is undefined.
  return Object.fromEntries(Object.entries(members).filter(([, value]) => keeps(value))) as Given<T>;
}
