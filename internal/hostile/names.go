package hostile

import "strings"

// Names returns names that become markup or code where something does not escape them.
func Names() []string {
	var out []string
	for _, line := range strings.Split(strings.Trim(list, "\n"), "\n") {
		out = append(out, line)
	}
	return append(out,
		"two\nlines", "two\r\n\r\n# paragraphs", "<script>\nalert(1)\n</script>", "\n---\n", "\n```\nalert\n```", "\n\n<div>\n\n", "\t<b>tab", "\x00<b>zero", "\x1b[31m<b>red",
		"\u202e<b>turned", "\u2067<b>isolated", "\x9b31m<b>", "\u009b2J<b>", "\x1b]0;title\a<b>", "<b>\x7f\b\b\b", "\u2028<b>line", "\xff\xfe<b>broken", "\xc0\xbcscript\xc0\xbe", "\ufeff<b>", "<scr\x00ipt>alert(1)</scr\x00ipt>", "java\tscript:alert(1)", "java\nscript:alert(1)",
		"<img src=x\nonerror=alert(1)>", "<svg\fonload=alert(1)>", "<"+strings.Repeat("b", 5000)+">", strings.Repeat("<b>", 2000), strings.Repeat(`"`, 3000), strings.Repeat("[", 500))
}

// list are names of one line: elements, attributes, ends of elements around them, Markdown, templates,
// entities, addresses.
const list = `
<script>alert(1)</script>
<SCRIPT SRC=//example.org/x.js></SCRIPT>
<script/x>alert(1)</script>
<scr<script>ipt>alert(1)</scr</script>ipt>
</script><script>alert(1)</script>
</script ><img src=x onerror=alert(1)>
</SCRIPT
<!--<script>
--><script>alert(1)</script>
--!><img src=x onerror=alert(1)>
<!-- comment -->
<![CDATA[<b>]]>
]]><b>x</b>
<?xml version="1.0"?>
<!doctype html>
<img src=x onerror=alert(1)>
<img src="x" onerror="alert(1)">
<img/src/onerror=alert(1)>
<IMG """><SCRIPT>alert(1)</SCRIPT>">
<img src=javascript:alert(1)>
<svg onload=alert(1)>
<svg><script>alert(1)</script></svg>
<svg><animate onbegin=alert(1) attributeName=x>
<svg><style><img src=x onerror=alert(1)></style>
<math><mi//xlink:href="javascript:alert(1)">
<math><mtext></mtext><mglyph><style><img src onerror=alert(1)>
<body onload=alert(1)>
</body></html><b>
<iframe src=javascript:alert(1)>
<iframe srcdoc="<script>alert(1)</script>">
<object data=javascript:alert(1)>
<embed src=javascript:alert(1)>
<link rel=stylesheet href=//example.org/x.css>
<style>*{display:none}</style>
</style><b>x</b>
<meta http-equiv=refresh content="0;url=//example.org">
<base href=//example.org/>
<form action=//example.org><input name=x>
<button formaction=javascript:alert(1)>x
<input onfocus=alert(1) autofocus>
<textarea><b>x
</textarea><b>x</b>
</title><svg onload=alert(1)>
</head><body><b>x
<title>x</title>
<template><b>x</template>
<noscript><b>x</noscript>
</noscript><b>x</b>
<details open ontoggle=alert(1)>
</summary></details><b>x</b>
<marquee onstart=alert(1)>
<video><source onerror=alert(1)>
<audio src onerror=alert(1)>
<a href="javascript:alert(1)">x</a>
<a href=//example.org>x
<a onmouseover=alert(1)>x
<table><tr><td>x</table>
</td></tr></table><h1>x</h1>
</li></ul><h1>x
</p><h1>x</h1>
</pre><b>x</b>
</code></pre><b>x</b>
<plaintext>
<xmp><b>x
<select><option>x
<b>bold</b>
<b
<
>
<>
</
<a
< script>alert(1)</ script>
&
&lt;script&gt;alert(1)&lt;/script&gt;
&#60;script&#62;
&#x3c;script&#x3e;
&LT;b&GT;
&amp;lt;b&amp;gt;
&quot;&gt;&lt;b&gt;
%3Cscript%3Ealert(1)%3C/script%3E
\u003cscript\u003ealert(1)\u003c/script\u003e
\x3cscript\x3ealert(1)\x3c/script\x3e
＜script＞alert(1)＜/script＞
"><script>alert(1)</script>
'><script>alert(1)</script>
"><img src=x onerror=alert(1)>
" onmouseover="alert(1)
' onmouseover='alert(1)
" autofocus onfocus="alert(1)
x onerror=alert(1)
" style="position:fixed;inset:0
";alert(1);//
';alert(1);//
\";alert(1);//
\'-alert(1)//
"}]}</script><b>
${alert(1)}
{{.Title}}
{{constructor.constructor('alert(1)')()}}
{% raw %}
<%= 7*7 %>
#{7*7}
javascript:alert(1)
JaVaScRiPt:alert(1)
vbscript:msgbox(1)
data:text/html,<script>alert(1)</script>
https://example.org/
//example.org/x
www.example.org
someone@example.org
<https://example.org>
[x](javascript:alert(1))
[x](https://example.org)
![x](https://example.org/x.png)
![x](x"onerror="alert(1))
[x]: https://example.org
[x][y]
[^1]
**bold** __bold__ *it* _it_ ~~gone~~
# heading
- item
* item
+ item
1. item
1) item
> quote
---
***
===
- [ ] task
| a | b |
a | b
\| a
|---|
~~~
    indented
\
\\
$x^2$
:bee:
../../../etc/passwd
con.jpg
url(javascript:alert(1))
expression(alert(1))
@import "//example.org/x.css";
`
