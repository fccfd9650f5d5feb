import { TidemarkError } from '../base/index.ts'

/**
 * A command that the machine cannot read, so that its state cannot be known: something else was appended to
 * its log, or the log is another machine's. It is no rejection of the command: it ends the replay.
 */
export class UnreadableCommand extends TidemarkError {
  constructor(message: string, cause?: unknown) {
    super('CORRUPT', message, {}, cause)
  }
}
