// An application on Express and ws that knows Redoubt by the page docs/assertion.md alone: assertion.mjs is taken from there.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'
import express from 'express'
import { WebSocketServer } from 'ws'
import { whoAsks } from './assertion.mjs'

const edge = { keysURL: process.env.KEYS_URL, application: process.env.APPLICATION, host: process.env.PUBLIC_HOST }
const app = express()

app.use('/private', async (request, response, next) => {
  try {
    request.visitor = await whoAsks(request, edge)
  } catch (error) {
    return response.status(401).send(error.message)
  }
  next()
})
app.all('/private/{*rest}', (request, response) => response.json({ sub: request.visitor.sub, by: request.visitor.by, ip: request.visitor.ip }))
app.get('/headers', (request, response) => response.json({ url: request.originalUrl, headers: request.headers }))
app.post('/upload', (request, response) => {
  const hash = createHash('sha256')
  let bytes = 0
  request.on('data', (part) => { hash.update(part); bytes += part.length })
  request.on('end', () => response.json({ bytes, sha256: hash.digest('hex'), trailers: request.trailers }))
})
app.get('/events', (request, response) => {
  response.set('Content-Type', 'text/event-stream')
  response.flushHeaders()
  const timer = setInterval(() => response.write(`data: ${Date.now()}\n\n`), 20)
  response.on('close', () => { clearInterval(timer); app.locals.closed = true })
})
app.get('/closed', (request, response) => response.json(app.locals.closed === true))
app.get('/hints', (request, response) => {
  response.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
  response.send('hinted')
})

const server = createServer(app)
const sockets = new WebSocketServer({ noServer: true })
server.on('upgrade', async (request, socket, head) => {
  try {
    const visitor = await whoAsks(request, edge)
    sockets.handleUpgrade(request, socket, head, (ws) => {
      ws.on('message', (data, binary) => ws.send(String(data) === 'who' ? visitor.sub : data, { binary }))
      ws.on('close', (code) => { app.locals.closed = code === 1000 })
    })
  } catch {
    socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
  }
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
