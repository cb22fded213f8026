'use strict'

// Reads packets with minecraft-protocol: JSON lines {version, state, side, body} in, packets out.

const path = require('path')
const readline = require('readline')
const modules = path.join(__dirname, '..', 'e2e', 'node_modules')
const { createDeserializer } = require(path.join(modules, 'minecraft-protocol'))

console.log = () => {} // it announces versions that it does not know well

readline.createInterface({ input: process.stdin }).on('line', line => {
  const { version, state, side, body } = JSON.parse(line)
  const reader = createDeserializer({ state, isServer: side === 'serverbound', version })
  const { data, metadata, buffer } = reader.parsePacketBuffer(Buffer.from(body, 'hex'))
  process.stdout.write(JSON.stringify({ ...data, left: buffer.length - metadata.size }) + '\n')
})
