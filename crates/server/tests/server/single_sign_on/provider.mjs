// A provider of OpenID Connect for the tests: panva's `oidc-provider`, certified by the OpenID
// Foundation. It lets in, without asking, whom the header `x-person` names.
//
// Arguments: the folder with `node_modules`, the port, the address to come back to.

import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const [modules, port, redirect] = process.argv.slice(2);
const library = pathToFileURL(`${modules}/node_modules/oidc-provider/lib/index.js`);
const { default: Provider } = await import(library);

const GROUPS = { ann: ['go-operators', 'drinkers'], eve: ['drinkers'] };

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'gofleet',
    client_secret: 'of the client, with a % in it',
    redirect_uris: [redirect],
  }],
  pkce: { required: () => true, methods: ['S256'] },
  claims: { openid: ['sub'], profile: ['name', 'preferred_username', 'groups'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (_, interaction) => `/enter/${interaction.uid}` },
  cookies: { keys: ['of the tests'] },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `${id} of Example`,
      preferred_username: `${id}@example.org`,
      groups: GROUPS[id] ?? [],
    }),
  }),
  loadExistingGrant: async (context) => {
    const { client, session } = context.oidc;
    const grant = new provider.Grant({ clientId: client.clientId, accountId: session.accountId });
    grant.addOIDCScope('openid profile');
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
createServer((request, response) => {
  if (request.url.startsWith('/enter/')) {
    const login = { accountId: request.headers['x-person'] };
    return provider.interactionFinished(request, response, { login });
  }
  return answer(request, response);
}).listen(Number(port), '127.0.0.1');
