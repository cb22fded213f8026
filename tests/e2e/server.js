'use strict'

// Minecraft servers of any version that minecraft-protocol knows, opened and closed by command.

const crypto = require('crypto')
const mc = require('minecraft-protocol')
const minecraftData = require('minecraft-data')
const { serve, sendStream, CHANNEL } = require('./peer')

const listeners = new Map() // port → { server, players }

// minecraft-data has an example of the join packet from 1.16 on.
const OLD_LOGIN_PACKET = {
  gameMode: 1,
  dimension: 0,
  difficulty: 2,
  maxPlayers: 20,
  levelType: 'default',
  reducedDebugInfo: false,
  viewDistance: 10,
  hashedSeed: [0, 0],
  enableRespawnScreen: true
}

function welcome (client, { mcversion }) {
  const example = minecraftData(mcversion.minecraftVersion).loginPacket ?? OLD_LOGIN_PACKET
  client.write('login', { ...example, entityId: client.id + 1000, enforceSecureChat: false, enforcesSecureChat: false })
}

function answerPluginMessages (client) {
  let stream
  client.on('custom_payload', ({ channel, data }) => {
    if (channel === CHANNEL.echo) {
      client.write('custom_payload', { channel, data })
    } else if (channel === CHANNEL.begin) {
      const { total, seed } = JSON.parse(data)
      stream = { left: total, hash: crypto.createHash('sha256') }
      stream.sent = sendStream(client, total, seed)
    } else if (channel === CHANNEL.data) {
      stream.hash.update(data)
      stream.left -= data.length
      if (stream.left > 0) return
      const report = { received: stream.hash.digest('hex'), sent: stream.sent }
      client.write('custom_payload', { channel: CHANNEL.done, data: Buffer.from(JSON.stringify(report)) })
    }
  })
}

serve({
  listen ({ version, motd, kick, host = '127.0.0.1', port = 0 }) {
    const server = mc.createServer({
      host,
      port,
      version,
      motd,
      'online-mode': false,
      hideErrors: true,
      errorHandler: (client, error) => { console.error(version, error.message); client.socket.destroy() }
    })
    if (kick?.when === 'login') {
      server.on('connection', client => {
        client.removeAllListeners('login_start')
        client.once('login_start', () => client.end(kick.text))
      })
    }
    const players = []
    server.on('playerJoin', client => {
      players.push({ client, username: client.username, host: client.serverHost, protocol: client.protocolVersion })
      welcome(client, server)
      answerPluginMessages(client)
      if (kick?.when === 'play') client.end(kick.text)
    })
    return new Promise((resolve, reject) => {
      server.once('error', reject)
      server.once('listening', () => {
        const { port } = server.socketServer.address()
        listeners.set(port, { server, players })
        resolve({ port })
      })
    })
  },

  // Everybody who came through to the play state, with the handshake's host as the server saw it.
  players ({ port }) {
    return listeners.get(port).players.map(({ client, ...rest }) => ({ ...rest, connected: !client.ended }))
  },

  kick ({ port, username, text }) {
    listeners.get(port).players.findLast(player => player.username === username).client.end(text)
  },

  close ({ port }) {
    const { server } = listeners.get(port)
    listeners.delete(port)
    for (const client of Object.values(server.clients)) client.socket.destroy()
    return new Promise(resolve => server.socketServer.close(resolve))
  }
})
