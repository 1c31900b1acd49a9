// Drives the product with OpenAI's npm client and prints what it saw as JSON.

const { default: OpenAI } = await import(process.env.OPENAI_MODULE);

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY, maxRetries: 0 });
const model = "smollm2-135m-instruct";
const messages = [{ role: "user", content: "What is the capital of France?" }];
const seen = {};

seen.models = (await client.models.list()).data.map((entry) => entry.id);
const whole = await client.chat.completions.create({ model, messages, max_tokens: 24, temperature: 0 });
seen.whole = whole.choices[0].message.content;
seen.tokens = whole.usage.total_tokens;
seen.streamed = "";
const stream = await client.chat.completions.create({ model, messages, max_tokens: 24, temperature: 0, stream: true });
for await (const chunk of stream) seen.streamed += chunk.choices[0]?.delta?.content ?? "";
try {
  await client.chat.completions.create({ model: "gpt-9", messages });
} catch (error) {
  seen.error = { kind: error.constructor.name, status: error.status, code: error.code, param: error.param };
}
console.log(JSON.stringify(seen));
