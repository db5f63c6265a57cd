package serve

import "net/http"

// describe answers /openapi.json.
func (s *Server) describe(w http.ResponseWriter, _ *http.Request) error {
	s.mu.RLock()
	names := []string{}
	for _, h := range s.heads {
		names = append(names, h.name)
	}
	s.mu.RUnlock()
	return writeJSON(w, description(names))
}

type object = map[string]any

// description is an OpenAPI 3.1 document for a server with heads of those names.
func description(heads []string) object {
	problems := func(codes ...string) object {
		out := object{}
		for _, c := range codes {
			out[c] = object{"$ref": "#/components/responses/problem"}
		}
		return out
	}
	with := func(out object, code string, answer object) object {
		out[code] = answer
		return out
	}
	get := func(id, summary string, open bool, responses object) object {
		op := object{"operationId": id, "summary": summary, "responses": responses}
		if open {
			op["security"] = []object{}
		}
		return object{"get": op}
	}
	binary := object{"schema": object{"type": "string", "contentMediaType": "image/*", "contentEncoding": "binary"}}
	return object{
		"openapi":  "3.1.0",
		"info":     object{"title": "tlkit serve", "version": "1", "description": "What trained heads predict about pictures. Errors are application/problem+json (RFC 9457).", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"}},
		"servers":  []object{{"url": "./"}},
		"security": []object{{}, {"token": []string{}}},
		"paths": object{
			"/predict": object{"post": object{
				"operationId": "predict", "summary": "Predict what is in a picture",
				"parameters": []object{
					{"name": "head", "in": "query", "description": "A head; repeat it for several. Without it, the first.", "schema": object{"type": "array", "items": object{"type": "string", "enum": heads}}, "style": "form", "explode": true},
					{"name": "top", "in": "query", "description": "Add this many labels, the most probable first.", "schema": object{"type": "integer", "minimum": 1}},
				},
				"requestBody": object{"required": true, "content": object{
					"image/*": binary, "application/octet-stream": binary,
					"multipart/form-data": object{"schema": object{"type": "object", "required": []string{"picture"}, "properties": object{"picture": object{"type": "string", "contentEncoding": "binary"}}}},
					"application/json":    object{"schema": object{"type": "object", "additionalProperties": false, "required": []string{"picture"}, "properties": object{"picture": object{"type": "string", "contentEncoding": "base64", "description": "base64, or a data URL"}}}},
				}},
				"responses": with(problems("400", "401", "403", "404", "408", "413", "415", "422", "429", "500", "503"), "200",
					jsonAnswer("The predictions, one for each head", object{"type": "object", "required": []string{"predictions"}, "properties": object{"predictions": object{"type": "array", "items": object{"$ref": "#/components/schemas/prediction"}}}})),
			}},
			"/heads":   get("heads", "The heads that are served", false, with(problems("401", "403"), "200", jsonAnswer("The heads", object{"type": "object", "required": []string{"heads"}, "properties": object{"heads": object{"type": "array", "items": object{"$ref": "#/components/schemas/head"}}}}))),
			"/metrics": get("metrics", "Metrics for Prometheus", false, with(problems("401", "403"), "200", object{"description": "Prometheus' text format", "content": object{"text/plain": object{"schema": object{"type": "string"}}}})),
			"/healthz": get("healthz", "Whether the process runs", true, object{"200": jsonAnswer("It does", object{"type": "object", "required": []string{"ok"}, "properties": object{"ok": object{"type": "boolean"}}})}),
			"/readyz": get("readyz", "Whether every head gets the recorded logits of its built-in pictures", true, object{
				"200": jsonAnswer("They do", object{"$ref": "#/components/schemas/ready"}), "503": jsonAnswer("One does not, or the server is stopping", object{"$ref": "#/components/schemas/ready"}),
			}),
			"/openapi.json": get("openapi", "This description", true, object{"200": jsonAnswer("OpenAPI 3.1", object{"type": "object"})}),
		},
		"components": object{
			"securitySchemes": object{"token": object{"type": "http", "scheme": "bearer"}},
			"responses": object{"problem": object{"description": "Why there is no answer", "headers": object{"Retry-After": object{"description": "with 429 and 503: seconds", "schema": object{"type": "integer"}}},
				"content": object{"application/problem+json": object{"schema": object{"type": "object", "required": []string{"status", "title", "detail"}, "properties": object{"status": object{"type": "integer"}, "title": object{"type": "string"}, "detail": object{"type": "string"}}}}}}},
			"schemas": schemas(),
		},
	}
}

func jsonAnswer(about string, schema object) object {
	return object{"description": about, "content": object{"application/json": object{"schema": schema}}}
}

// schemas are those of the answers.
func schemas() object {
	text, number := object{"type": "string"}, object{"type": "number"}
	texts := object{"type": "array", "items": text}
	share := object{"type": "number", "minimum": 0, "maximum": 1}
	byName := func(of object, about string) object {
		return object{"type": "object", "additionalProperties": of, "description": about}
	}
	return object{
		"prediction": object{"type": "object", "required": []string{"head"}, "additionalProperties": false, "properties": object{
			"head": text, "label": object{"type": "string", "description": "for one label a picture; empty if unknown"}, "probability": share,
			"unknown":       object{"type": "boolean", "description": "the most probable label is below the server's threshold, or the picture is unlike the training pictures"},
			"labels":        object{"type": "array", "items": text, "description": "for several labels: those the picture gets"},
			"probabilities": byName(share, "by label"),
			"top":           object{"type": "array", "items": object{"type": "object", "required": []string{"label", "probability"}, "properties": object{"label": text, "probability": share}}},
			"values":        byName(number, "for real values: in the units of the training data"),
			"set":           object{"type": "array", "items": text, "description": "for one label a picture: the labels among which the true one is nine times out of ten"},
			"intervals":     byName(object{"type": "array", "items": number, "minItems": 2, "maxItems": 2}, "for real values: from where to where each is, nine times out of ten"),
			"familiar":      object{"type": "boolean", "description": "whether the picture is like the training pictures"},
			"strangeness":   object{"type": "number", "description": "how unlike them it is, about 0 on average"},
		}},
		"head": object{"type": "object", "required": []string{"name", "task", "labels", "backbone", "data", "split", "score", "score_words", "sha256", "parity", "since"}, "additionalProperties": false, "properties": object{
			"name": text, "task": object{"type": "string", "enum": []string{"classes", "labels", "values"}}, "labels": texts,
			"thresholds": object{"type": "array", "items": share}, "threshold": share, "backbone": text, "licence": text, "data": text, "split": text,
			"score": object{"type": "object"}, "score_words": text, "sha256": text, "parity": number, "since": object{"type": "string", "format": "date-time"},
			"refused": object{"type": "string", "description": "why the file on disk is not used"}, "shares": object{"type": "array", "items": text, "description": "the other heads of the same pass"},
		}},
		"ready": object{"type": "object", "required": []string{"ready", "heads"}, "properties": object{
			"ready": object{"type": "boolean"}, "why": text,
			"heads": object{"type": "array", "items": object{"type": "object", "required": []string{"name", "parity"}, "properties": object{"name": text, "parity": number, "error": text}}},
		}},
	}
}
