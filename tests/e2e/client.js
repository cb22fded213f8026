'use strict'

// Minecraft clients of any version that minecraft-protocol knows, driven by command.

const crypto = require('crypto')
const net = require('net')
const mc = require('minecraft-protocol')
const { serve, sendStream, plainText, CHANNEL } = require('./peer')

const sessions = new Map()

// `host` is the name that the player typed: it goes into the handshake; `port` on this machine
// is where the connection goes.
function options ({ host, port, version }) {
  return { host, port, version, connect: client => client.setSocket(net.connect(port, '127.0.0.1')) }
}

function reply (client, channel) {
  return new Promise((resolve, reject) => {
    client.once('end', () => reject(new Error('the connection ended')))
    client.on('custom_payload', packet => { if (packet.channel === channel) resolve(packet.data) })
  })
}

serve({
  ping: args => mc.ping({ ...options(args), closeTimeout: 10000 }),

  // Resolves when the server has let the player in, or has not. With `transfer` the player comes
  // from another server, which sent him here (intent 3).
  join ({ username, transfer, ...args }) {
    const client = mc.createClient({ ...options(args), username, auth: 'offline', hideErrors: true })
    if (transfer) {
      const write = client.write.bind(client)
      client.write = (name, params) => write(name, name === 'set_protocol' ? { ...params, nextState: 3 } : params)
    }
    const session = sessions.size + 1
    const seen = { session, packets: [] }
    sessions.set(session, { client, seen })
    client.on('packet', (_, { name, state }) => { if (seen.packets.length < 100) seen.packets.push(`${state}.${name}`) })
    for (const name of ['disconnect', 'kick_disconnect']) {
      client.on(name, ({ reason }) => { seen.kicked = plainText(reason) })
    }
    return new Promise(resolve => {
      client.on('error', error => { seen.error ??= error.message })
      client.once('end', () => { seen.ended = true; resolve(seen) })
      client.once('login', ({ entityId }) => {
        seen.entityId = entityId
        seen.uuid = client.uuid
        seen.threshold = client.compressionThreshold
        resolve(seen)
      })
    })
  },

  async echo ({ session, text }) {
    const { client } = sessions.get(session)
    const answer = reply(client, CHANNEL.echo)
    client.write('custom_payload', { channel: CHANNEL.echo, data: Buffer.from(text) })
    return (await answer).toString()
  },

  // Both sides send `total` bytes at once; each says what it sent and what it got.
  async stream ({ session, total }) {
    const { client } = sessions.get(session)
    const hash = crypto.createHash('sha256')
    client.on('custom_payload', ({ channel, data }) => { if (channel === CHANNEL.data) hash.update(data) })
    const done = reply(client, CHANNEL.done)
    const begin = { total, seed: `clientbound ${session}` }
    client.write('custom_payload', { channel: CHANNEL.begin, data: Buffer.from(JSON.stringify(begin)) })
    const sent = sendStream(client, total, `serverbound ${session}`)
    const server = JSON.parse(await done)
    return { clientSent: sent, serverReceived: server.received, serverSent: server.sent, clientReceived: hash.digest('hex') }
  },

  // Says something, and resolves with the first chat message that contains it.
  chat ({ session, text }) {
    const { client } = sessions.get(session)
    const answer = new Promise((resolve, reject) => {
      client.once('end', () => reject(new Error('the connection ended')))
      for (const name of ['systemChat', 'playerChat']) {
        client.on(name, message => {
          const said = plainText(message.formattedMessage ?? message.plainMessage)
          if (said.includes(text)) resolve(said)
        })
      }
    })
    client.chat(text)
    return answer
  },

  ended ({ session }) {
    const { client, seen } = sessions.get(session)
    return client.ended ? seen : new Promise(resolve => client.once('end', () => resolve(seen)))
  },

  leave ({ session }) {
    const { client } = sessions.get(session)
    client.end()
    client.socket.destroy()
  }
})
