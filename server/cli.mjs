#!/usr/bin/env -S node --min-semi-space-size=8 --v8-pool-size=0
// @ts-check
// The start of `keyscaler`: runs the compiled command when it was made of the sources as they are now (docs/decisions/0031),
// else the sources; which of the two changes nothing but the time. Plain JavaScript, since the first TypeScript file of a
// process loads what strips types. Node's young generation is 8 MB from the start, which holds all modules, in place of one
// that grows; and it has as many helping threads as there are cores for (0 says so; else it is four); docs/performance.md.
import { enableCompileCache } from 'node:module'
import { join } from 'node:path'
import { compiledCode } from '../lib/keystore/compiled-code.mjs'
import { findCompiledCommand } from './compiled-command.mjs'
import { loadCompiledCommand } from './kept-code.mjs'

const { NODE_COMPILE_CACHE: folder } = compiledCode()
if (folder !== undefined) enableCompileCache(folder)

const compiled = findCompiledCommand(join(import.meta.dirname, '..'))
const { runCommand } = (compiled && loadCompiledCommand(compiled)) ?? (await import('./command.ts'))
await runCommand()
