// Looks at the live document of a page of boxes, and says what is wrong with it. It knows what may be in a box by itself.
"use strict";
{
	const may = {
		p: [], h3: [], h4: [], h5: [], h6: [], blockquote: [], ul: [], ol: ["start"], li: [], pre: [], hr: [], br: [],
		a: ["href", "target", "rel"], strong: [], em: [], del: [], code: [], img: ["src", "alt"],
	};
	const faults = [];
	const say = text => { if (faults.length < 20) faults.push(text) };

	// build makes nodes of a tree, without any sink for HTML, as the preview of an editor does.
	const build = nodes => {
		const all = document.createDocumentFragment();
		for (const n of nodes || []) {
			if (!n.element) {
				all.append(n.text || "");
				continue;
			}
			const e = document.createElement(n.element);
			for (const [name, value] of Object.entries(n.attributes || {})) e.setAttribute(name, value);
			e.append(build(n.nodes));
			all.append(e);
		}
		return all;
	};

	const element = (e, where) => {
		if (e.namespaceURI != "http://www.w3.org/1999/xhtml" || !Object.hasOwn(may, e.localName)) return say(where + " holds " + e.localName);
		for (const a of e.attributes) if (!may[e.localName].includes(a.name)) say(where + ": " + e.localName + " has " + a.name);
		if (getComputedStyle(e).position != "static") say(where + ": " + e.localName + " is not in its place");
		if (e.localName == "a") link(e, where);
		if (e.localName == "img") {
			const src = new URL(e.src, location);
			if (src.origin != location.origin || !/^\/files\/[a-z0-9._-]+$/.test(src.pathname) || src.search) say(where + ": an image of " + e.src);
		}
	};

	const link = (a, where) => {
		const known = /^(https?|mailto):$/.test(a.protocol) && a.host != location.host && a.username == "";
		if (!known || a.target != "_blank" || a.rel != "noopener noreferrer") say(where + ": a link to " + a.protocol);
		a.dispatchEvent(new MouseEvent("mouseover", {bubbles: true}));
	};

	const box = (b, i) => {
		const where = "box " + i, li = b.parentNode;
		if (li.childNodes.length != 2 || li.lastChild.className != "next") say("the page around " + where + " is not what it was");
		const inside = b.querySelectorAll("*");
		for (const e of inside) element(e, where);
		const others = NodeFilter.SHOW_ALL & ~NodeFilter.SHOW_ELEMENT & ~NodeFilter.SHOW_TEXT;
		if (document.createTreeWalker(b, others).nextNode()) say(where + " holds a comment");
		return inside.length;
	};

	// look is called when the page has loaded, with the number of boxes that were sent.
	window.look = async (count, trees) => {
		const boxes = document.querySelectorAll("body > #list > li > .box");
		if (trees) {
			const all = JSON.parse(document.getElementById("trees").textContent);
			all.forEach((nodes, i) => boxes[i].append(build(nodes)));
		}
		await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done))); // what was to begin has begun
		if (boxes.length != count || document.querySelectorAll(".box").length != count) say("boxes: " + boxes.length + " of " + count);
		let inside = 0;
		boxes.forEach((b, i) => inside += box(b, i));
		const outside = document.querySelectorAll("*").length - inside, want = 9 + 3 * count; // html head title script script body ol p script
		if (outside != want) say("there are " + outside + " elements outside the boxes, not " + want);
		if (hits.length) say("ran: " + hits);
		if (violations.length) say("the policy had to refuse " + violations);
		if (document.title != "unchanged" || name != "unchanged" || location.pathname != "/boxes") say("the page calls itself " + [document.title, name, location.href]);
		for (const r of performance.getEntriesByType("resource")) if (!/^\/(files\/[a-z0-9._-]+|favicon.ico)$/.test(r.name.slice(location.origin.length))) say("loaded " + r.name);
		return faults.join("\n");
	};
}
