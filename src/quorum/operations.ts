/** What a member asks of another about a log, or an operator of a member: the numbers go over the wire. */
export const OPERATION = {
  /** To the leader: append a group. */
  append: 1,
  /** To the leader: raise the low-water mark. */
  trim: 2,
  /** Which snapshots of a log are there? */
  snapshots: 3,
  /** The next part of a snapshot. */
  snapshotPart: 4,
  /** Have a snapshot at or above a mark, by yourself or from me. */
  holdSnapshot: 5,
  /** What an operator asks, who is no member: the only thing that it may. */
  admin: 6,
  /** To the leader: go on without my replica, which is lost. */
  leaveOut: 7,
} as const
