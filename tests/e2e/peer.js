'use strict'

// What client.js and server.js share: commands come in on stdin, one JSON object a line, and
// each gets one line back on stdout: {"id", "ok"} or {"id", "error"}. A process lives for a whole
// test run, since loading a version costs up to a second. When stdin ends, so does the process.

const crypto = require('crypto')
const readline = require('readline')

exports.serve = function serve (commands) {
  readline.createInterface({ input: process.stdin }).on('line', async line => {
    const { id, command, ...args } = JSON.parse(line)
    let answer
    try {
      answer = { id, ok: await commands[command](args) ?? null }
    } catch (error) {
      answer = { id, error: String(error?.stack ?? error) }
    }
    process.stdout.write(JSON.stringify(answer) + '\n')
  }).on('close', () => process.exit(0))
}

exports.CHANNEL = { echo: 'mcproxy:echo', begin: 'mcproxy:begin', data: 'mcproxy:data', done: 'mcproxy:done' }

const CHUNK = 30000 // a plugin message takes at most 32767 bytes in some versions

// A stream of `total` bytes as plugin messages, the same for the same seed. Every other message
// is noise and the one after it zeroes, so that compressed and incompressible frames alternate.
exports.sendStream = function sendStream (client, total, seed) {
  const noise = crypto.createCipheriv('aes-128-ctr', crypto.createHash('md5').update(seed).digest(), Buffer.alloc(16))
  const hash = crypto.createHash('sha256')
  for (let sent = 0, turn = 0; sent < total; turn++) {
    const zeroes = Buffer.alloc(Math.min(CHUNK, total - sent))
    const data = turn % 2 ? zeroes : noise.update(zeroes)
    hash.update(data)
    client.write('custom_payload', { channel: exports.CHANNEL.data, data })
    sent += data.length
  }
  return hash.digest('hex')
}

// The text of a disconnect packet: JSON up to 1.20.2, NBT from 1.20.3 on outside of login.
exports.plainText = function plainText (reason) {
  if (typeof reason === 'string') {
    try { reason = JSON.parse(reason) } catch { return reason }
  } else if (reason?.type) {
    reason = require('prismarine-nbt').simplify(reason)
  }
  const flat = part => typeof part === 'string' ? part : (part.text ?? part.translate ?? part[''] ?? '') + (part.extra ?? []).map(flat).join('')
  return flat(reason)
}
