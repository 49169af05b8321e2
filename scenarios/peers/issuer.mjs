// oauth2-mock-server behind a small wrapper: the form field `claims` becomes the token's claims. Ends with its input.
import { createRequire } from "node:module";
import path from "node:path";

const require = createRequire(path.join(process.env.MODULES, "package.json"));
const { OAuth2Server } = require("oauth2-mock-server");

const server = new OAuth2Server();
await server.issuer.keys.generate("RS256");
await server.start(0, "127.0.0.1");
server.service.on("beforeTokenSigning", (token, request) => {
  if (request?.body?.claims) Object.assign(token.payload, JSON.parse(request.body.claims));
});
// the issuer's name is compared as text, so it is the address that is really served
server.issuer.url = `http://127.0.0.1:${server.address().port}`;
process.stdout.write(JSON.stringify({ url: server.issuer.url }) + "\n");
process.stdin.resume();
process.stdin.on("end", () => process.exit(0));
