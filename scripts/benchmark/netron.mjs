// Opens a file with Netron's own model factories, without a browser: what happens before it draws.
// node netron.mjs FOLDER FILE, FOLDER: where the package `netron` has its scripts.
import * as fs from 'fs';
import * as path from 'path';
import * as url from 'url';

const [folder, file] = process.argv.slice(2).map((one) => path.resolve(one));
const load = (name) => import(url.pathToFileURL(path.join(folder, name)));
const { ModelFactoryService } = await load('view.js');
const { FileStream } = await load('node.js');

const above = path.dirname(file);
const whole = (one) => {
    const stat = fs.statSync(one);
    return new FileStream(one, 0, stat.size, stat.mtimeMs);
};
const host = {
    environment: () => null,
    event: () => {},
    exception: (error) => { throw error; },
    require: (id) => load(`${id}.js`),
    request: async (name, encoding, base) => {
        const one = path.join(base ?? folder, name);
        return encoding ? fs.readFileSync(one, encoding) : whole(one);
    }
};
const context = {
    identifier: path.basename(file),
    stream: whole(file),
    entries: new Map(),
    asset: (name) => host.request(name, 'utf-8', null),
    fetch: (name) => host.request(name, null, above),
    request: (name, encoding, base) => host.request(name, encoding, base === undefined ? above : base),
    require: (id) => host.require(id),
    error: (error) => { throw error; }
};
const model = await new ModelFactoryService(host).open(context);
const graphs = model.modules ?? model.graphs ?? [];
const nodes = graphs.reduce((sum, one) => sum + one.nodes.length, 0);
if (nodes === 0) {
    throw new Error('Netron shows nothing of it.');
}
console.log(`${model.format}: ${nodes} nodes`);
