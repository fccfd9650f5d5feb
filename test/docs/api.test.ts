// docs/api.md is what scripts/api.mjs makes of the code, so that a change of the public face shows on it.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import * as tidemark from 'tidemark'
import * as testing from 'tidemark/testing'
import { headingsOf, pageAt, ROOT } from './pages.ts'

/** What the script prints, of the declarations in `folder` if one is given. */
async function report(folder?: string): Promise<string> {
  const args = [join(ROOT, 'scripts', 'api.mjs'), '--print', ...(folder ? [folder] : [])]
  return (await promisify(execFile)(process.execPath, args)).stdout
}

describe('docs/api.md', () => {
  const page = pageAt('docs/api.md')

  it('is what `npm run api` makes of the code', async () => {
    assert.equal(page.text, await report())
  })

  it('has every export that there is at run time', () => {
    const headings = new Set(headingsOf(page))
    const names = [...Object.keys(tidemark), ...Object.keys(testing)]
    assert.ok(names.length >= 20)
    assert.deepEqual(
      names.filter((name) => !headings.has(name.toLowerCase())),
      [],
    )
  })
})

const DECLARATIONS = `
/** Boils. See {@link Kettle.cups}. */
export declare class Kettle extends Vessel {
    #private;
    /**
     * How many.
     *
     * Never (yet) more than four.
     */
    readonly cups: number;
    private secret;
    /** @internal */
    constructor(hidden: Hidden);
    static of(first: string, options?: {
        readonly cups: number;
    }): Kettle;
    pour(into: Cup): Promise<void>;
}
declare class Vessel {
    /** Of steel. */
    material: string;
}
interface Hidden {
}
/** Adds. */
export declare function add(firstOfTheNumbers: number, secondOfTheNumbers: number, more: readonly number[], then: (sum: number) => void): number;
export declare function add(text: string): string;
declare const SIZES: readonly ["small", "large"];
export type Size = (typeof SIZES)[number];
interface Inside {
    size: Size;
}
export type { Inside as Cup };
`

const REPORT = `## tidemark

**Classes:**
[Kettle](#kettle)

**Functions:**
[add](#add)

**Types:**
[Cup](#cup),
[Size](#size)

**Not exported by name:**
[Vessel](#vessel)

### Kettle

Boils. See Kettle.cups.

~~~ts
class Kettle extends Vessel {
  // How many.
  //
  // Never (yet) more than four.
  readonly cups: number
  static of(first: string, options?: {
    readonly cups: number
  }): Kettle
  pour(into: Cup): Promise<void>
}
~~~

### add

Adds.

~~~ts
function add(
  firstOfTheNumbers: number,
  secondOfTheNumbers: number,
  more: readonly number[],
  then: (sum: number) => void,
): number
function add(text: string): string
~~~

### Cup

~~~ts
interface Cup {
  size: Size
}
~~~

### Size

~~~ts
type Size = 'small' | 'large'
~~~

### Vessel

~~~ts
class Vessel {
  // Of steel.
  material: string
}
~~~
`

describe('the script behind it', () => {
  it('shows what is public, and nothing else', async (t) => {
    mkdirSync(join(ROOT, 'build'), { recursive: true })
    const folder = mkdtempSync(join(ROOT, 'build', 'api-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    writeFileSync(join(folder, 'index.d.ts'), DECLARATIONS)
    const text = await report(folder)
    const from = text.indexOf('## tidemark')
    assert.equal(text.slice(from).replaceAll('```', '~~~'), REPORT)
  })
})
