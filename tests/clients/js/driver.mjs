// Calls an unmodified supabase-js for the tests: a line of JSON in, a line of JSON out (see ../javascript.py).

import { createInterface } from 'node:readline'
import { createClient } from '@supabase/supabase-js'

// supabase-js makes its realtime client at once, and that asks for a WebSocket, which Node has from 22 on.
// Mintage has no realtime: this one is never opened.
class NoSocket {
  constructor() {
    throw new Error('a realtime connection was opened')
  }
}
const realtime = globalThis.WebSocket ? {} : { realtime: { transport: NoSocket } }

const clients = new Map()

function make({ client, url, key, options }) {
  const { token, ...others } = options
  const accessToken = token ? { accessToken: async () => token } : {}
  clients.set(client, createClient(url, key, { ...realtime, ...others, ...accessToken }))
  return null
}

async function call({ client, steps }) {
  let found = clients.get(client)
  for (const step of steps) {
    // A step is the name of a property, or a method's name and its arguments.
    found = typeof step === 'string' ? found[step] : found[step[0]](...step.slice(1))
  }
  return shown(await found)
}

async function shown(result) {
  if (!(result instanceof Object && 'error' in result)) return { data: result }
  const { data, error, response, ...others } = result
  return { ...others, data: await plain(data ?? null), error: await shownError(error) }
}

async function plain(data) {
  if (!(data instanceof Blob)) return data
  return { text: await data.text(), size: data.size, type: data.type }
}

// What is enumerable, and what errors keep to themselves.
async function shownError(error) {
  if (error === null || error === undefined) return null
  const told = { ...error, class: error.constructor.name, name: error.name, message: error.message }
  if (error.context instanceof Response) told.context = await shownResponse(error.context)
  return told
}

async function shownResponse(response) {
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    json: await response.json(),
  }
}

async function answer(asked) {
  try {
    return await (asked.steps ? call(asked) : make(asked))
  } catch (error) {
    return { thrown: await shownError(error) }
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(JSON.stringify(await answer(JSON.parse(line))) + '\n')
}
process.exit(0)
